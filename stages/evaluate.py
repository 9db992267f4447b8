"""Stage `evaluate`: the trained net on the test images: curves, figures, histograms, points, numbers."""

from dataclasses import asdict
from pathlib import Path

from fashionboard.base import arithmetic, clock, errors, outputs, params
from fashionboard.data import dataset
from fashionboard.evaluation import calibration, scores
from fashionboard.events import inputs
from fashionboard.network import loading
from fashionboard.repository import times

RAW, MODEL = Path("data/raw"), Path("models/net.safetensors")
RUN = Path("runs/evaluate")
METRICS, PLOTS = Path("metrics/evaluate.json"), Path("plots/evaluate")


def main() -> None:
    settings = params.load(Path("params.yaml")).evaluate
    arithmetic.choose(settings.arithmetic)
    # torch takes seconds to import: not before the parameters are known to be right
    with clock.part("imports"), loading.uncollected():
        from fashionboard.evaluation import histograms
        from fashionboard.events import images
        from fashionboard.events.writer import EventWriter, literal
        from fashionboard.figures import diagrams
        from fashionboard.network import checkpoint, compute, inference

    compute.configure("cpu", settings.threads, settings.batch_size)
    about, test = dataset.describe(RAW), dataset.load(RAW, "test")
    net, _ = checkpoint.load(MODEL, checkpoint.Origin(about.name, about.classes, about.kind))
    tested = f"the {len(test):,} test images of {about.name}"

    # judge
    with histograms.activations(net) as activations:
        logs = inference.log_probabilities(net, test.pixels, settings.batch_size)
    logs = inference.with_views(logs, net, test.pixels, settings.batch_size, settings.augment)
    probabilities, predicted, confidence = scores.decide(logs)
    numbers = asdict(scores.summarise(logs, test.labels, about.classes))
    counts = scores.pr_counts_by_class(probabilities, test.labels, about.classes, settings.thresholds)
    bins = calibration.measure(confidence, predicted == test.labels)
    confusion = scores.confusion(predicted, test.labels, len(about.classes))
    wrong = scores.mistakes(confidence, predicted == test.labels)
    positions = dataset.positions(len(test), settings.points, settings.seed)
    chosen = dataset.take(test, positions)
    features = inference.features(net, chosen.pixels, settings.batch_size)

    # draw
    matrix = diagrams.confusion(confusion, about.classes, tested)
    reliability = diagrams.reliability(bins.edges, bins.counts, bins.accuracy, bins.error, tested)
    shown = test.pixels[wrong], test.labels[wrong], predicted[wrong], confidence[wrong]
    mistakes = diagrams.mistakes(*shown, about.classes, tested, about.kind.negative)

    # write for TensorBoard
    key = inputs.key("evaluate", settings)
    with EventWriter(RUN, key) as events:
        events.pr_curves("pr_curve", counts)
        for quantity in ("average_precision", "precision", "recall", "f1"):
            events.scalars(quantity.replace("_", " "), numbers[quantity])
        events.scalar("accuracy", numbers["accuracy"])
        events.scalar("balanced accuracy", numbers["recall"]["macro"])
        events.scalar("expected calibration error", bins.error)
        events.image("confusion matrix", matrix)
        events.image("reliability", reliability)
        events.image("most confident mistakes", mistakes)
        events.histograms("weights", histograms.weights(net))
        events.histograms("activations", activations)
        known = scores.decisions(predicted[positions], chosen.labels, about.classes)
        events.projector("features", features, known, chosen.pixels)
        events.text("data_set", f"Evaluated on {literal(tested)}.")

    # write for DVC
    curves = scores.curve_points(probabilities, test.labels, about.classes)
    outputs.write_csv(PLOTS / "precision_recall.csv", ["class", "recall", "precision"], curves)
    decided = [(about.classes[a], about.classes[b]) for a, b in zip(test.labels, predicted, strict=True)]
    outputs.write_csv(PLOTS / "confusion.csv", ["actual", "predicted"], decided)
    outputs.write_bytes(PLOTS / "confusion.png", images.png(matrix))
    outputs.write_json(METRICS, {"data_set": about.name, **numbers, "expected_calibration_error": bins.error})
    times.keep("evaluate", key)


if __name__ == "__main__":
    errors.run(main)
