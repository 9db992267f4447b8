from fashionboard.base.kind import FASHION_MNIST, SIZES, Kind


def test_an_image_has_the_shape_of_its_kind() -> None:
    assert (FASHION_MNIST.shape, FASHION_MNIST.channels, FASHION_MNIST.values) == ((28, 28), 1, 784)
    colour = Kind(64, "rgb")
    assert (colour.shape, colour.channels, colour.values) == ((64, 64, 3), 3, 12_288)
    assert Kind(224).shape == (224, 224) and 224 in SIZES and 225 not in SIZES


def test_only_garments_are_seen_as_negatives() -> None:
    assert FASHION_MNIST.negative and not Kind(28, "grey", "crop").negative
