import weakref

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fashionboard.base.errors import ModelError
from fashionboard.data.dataset import Images
from fashionboard.evaluation import histograms
from fashionboard.evaluation.histograms import Histogram
from fashionboard.network import inference, nets


def counted(*portions: Tensor) -> histograms.Buckets:
    histogram = Histogram()
    for portion in portions:
        histogram.add(portion)
    return histogram.buckets()


def numbers(seed: int, scale: float) -> Tensor:
    return torch.randn(10_000, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.mark.parametrize("scale", [1e-38, 1e-6, 0.3, 1.0, 7.9, 1e4, 1e37])
@pytest.mark.parametrize("rectified", [False, True])
def test_the_counts_are_numpys(scale: float, rectified: bool) -> None:
    values = numbers(0, scale)
    values = values.relu() if rectified else values
    edges, counts = counted(values)
    theirs, _ = np.histogram(values.double().numpy(), bins=edges)
    assert counts.dtype == np.int64 and counts.tolist() == theirs.tolist()
    assert counts.sum() == 10_000 and counts[0] > 0 and counts[-1] > 0
    # bins of one width, a power of two
    widths = set(np.diff(edges).tolist())
    assert len(widths) == 1 and np.frexp(widths.pop())[0] == 0.5
    assert 32 <= len(counts) <= 256


def test_a_number_on_an_edge_is_counted_right_of_it() -> None:
    edges, counts = counted(torch.tensor([0.0, 0.25, 0.25, -0.25, 0.75, -1e-45]))
    assert edges[0] == -0.25 and edges[-1] == 0.75 + 1 / 128
    found = dict(zip(edges.tolist(), counts.tolist(), strict=False))
    assert {left: count for left, count in found.items() if count} == {
        -0.25: 1,
        -1 / 128: 1,
        0: 1,
        0.25: 2,
        0.75: 1,
    }


def test_the_portions_and_their_order_do_not_matter() -> None:
    values = torch.cat([numbers(seed, 10.0 ** (seed - 6)) for seed in range(12)] + [torch.zeros(50)])
    edges, counts = counted(values)
    shuffled = values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))]
    for portions in (values.split(7_777), values.flip(0).split(10_000), shuffled.split(1_000)):
        other_edges, other_counts = counted(*portions)
        assert other_edges.tolist() == edges.tolist() and other_counts.tolist() == counts.tolist()


@pytest.mark.parametrize("power", [-149, -126, 0, 100, 127])
def test_powers_of_two_of_every_size_fit(power: int) -> None:
    value = 2.0**power
    edges, counts = counted(torch.tensor([value, -value]))
    assert counts[0] == counts[-1] == 1 and counts.sum() == 2
    assert edges[0] == -value and edges[-2] == value


def test_nothing_and_nothing_but_zeros() -> None:
    edges, counts = counted(torch.zeros(0))
    assert len(edges) == 1 and len(counts) == 0
    edges, counts = counted(torch.zeros(3))
    assert edges[0] == 0 < edges[1] and counts.tolist() == [3]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected finite numbers"):
        counted(torch.tensor([1.0, value, 2.0]))


def test_weights_are_counted_by_the_name_of_the_parameter() -> None:
    net = nets.initial(0)
    found = histograms.weights(net)
    assert list(found) == list(net.state_dict())
    for name, (edges, counts) in found.items():
        values = net.state_dict()[name].double().numpy()
        assert counts.tolist() == np.histogram(values, bins=edges)[0].tolist()
        assert counts.sum() == values.size


@pytest.mark.parametrize("batch_size", [3, 20])
def test_activations_are_what_each_layer_puts_out(images: Images, batch_size: int) -> None:
    net = nets.initial(0)
    assert isinstance(net, nets.Net)
    with histograms.activations(net) as found:
        inference.log_probabilities(net, images.pixels[:20], batch_size)
    assert list(found) == ["conv1", "pool", "conv2", "pool 2", "fc1", "fc2", "fc3"]
    values: dict[str, list[np.ndarray]] = {name: [] for name in found}
    with torch.no_grad():
        for batch in torch.from_numpy(images.pixels[:20]).split(batch_size):
            convolved = net.conv1(nets.normalise(batch))
            pooled = net.pool(convolved.relu())
            convolved_again = net.conv2(pooled)
            pooled_again = net.pool(convolved_again.relu())
            first = net.fc1(pooled_again.flatten(1))
            second = net.fc2(first.relu())
            third = net.fc3(second.relu())
            layers = convolved, pooled, convolved_again, pooled_again, first, second, third
            for name, layer in zip(found, layers, strict=True):
                values[name].append(layer.double().numpy().ravel())
    for name, (edges, counts) in found.items():
        expected = np.concatenate(values[name])
        assert counts.tolist() == np.histogram(expected, bins=edges)[0].tolist()
        assert counts.sum() == expected.size


class Pair(nn.Module):
    """Layers within layers, one of them twice in a pass, one that changes its input, one that gives two."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
        self.lstm = nn.LSTM(3, 2)
        self.unused = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.lstm(self.inner(x) + self.inner(-x))[0]
        return y


def test_any_net_with_named_layers_will_do() -> None:
    torch.manual_seed(0)
    net = Pair()
    with histograms.activations(net) as found, torch.no_grad():
        for _ in range(2):
            net(torch.tensor([[1.0, -2.0], [0.5, 0.5], [3.0, 1.0]]))
    # an LSTM gives more than a tensor: nothing is made of that
    assert list(found) == ["inner.0", "inner.1", "inner.0 2", "inner.1 2"]
    assert all(counts.sum() == 2 * 3 * 3 for _, counts in found.values())
    # counted before the rectifier changed it in place
    assert found["inner.0"][0][0] < 0 == found["inner.1"][0][0]


def test_after_the_block_nothing_is_counted_any_more(images: Images) -> None:
    net = nets.initial(0)
    with histograms.activations(net) as found:
        inference.log_probabilities(net, images.pixels[:5], 5)
    before = {name: counts.sum() for name, (_, counts) in found.items()}
    inference.log_probabilities(net, images.pixels[:5], 5)
    assert {name: counts.sum() for name, (_, counts) in found.items()} == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_no_activation_is_kept(images: Images) -> None:
    net, seen = nets.initial(0), []
    assert isinstance(net, nets.Net)
    with histograms.activations(net) as found:
        net.conv1.register_forward_hook(lambda _, __, output: seen.append(weakref.ref(output)))
        inference.log_probabilities(net, images.pixels[:20], 5)
        assert [each() for each in seen] == [None] * 4
    assert found["conv1"][1].sum() == 20 * 6 * 24 * 24


def test_a_net_that_overflows_is_refused_by_its_layer(images: Images) -> None:
    net = nets.initial(0)
    assert isinstance(net, nets.Net)
    with torch.no_grad():
        net.conv1.weight *= 1e20
        net.conv2.weight *= 1e20
    found = r"^layer conv2: expected finite numbers, found [a-z]+; train again with a smaller train\.lr$"
    with pytest.raises(ModelError, match=found), histograms.activations(net):
        inference.log_probabilities(net, images.pixels[:5], 5)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
