"""Stage `evaluate`: the trained net on the test images: curves, figures, histograms, points, numbers."""

from dataclasses import asdict, astuple
from pathlib import Path

from fashionboard import (
    calibration,
    dataset,
    errors,
    events,
    figures,
    images,
    inputs,
    outputs,
    params,
    projector,
)

RAW = Path("data/raw")
MODEL = Path("models/net.safetensors")
RUN = Path("runs/evaluate")
METRICS = Path("metrics/evaluate.json")
PLOTS = Path("plots/evaluate")


def main() -> None:
    settings = params.load(Path("params.yaml")).evaluate
    # torch and scikit-learn take seconds to import: not before the parameters are known to be right
    from fashionboard import checkpoint, compute, evaluation, histograms, inference

    compute.configure("cpu", settings.threads)
    about, test = dataset.describe(RAW), dataset.load(RAW, "test")
    net = checkpoint.load(MODEL, checkpoint.Origin(about.name, about.classes))
    with histograms.activations(net) as activations:
        logs = inference.log_probabilities(net, test.pixels, settings.batch_size)
    probabilities, predicted, confidence = evaluation.decide(logs)
    numbers = asdict(evaluation.summarise(logs, test.labels, about.classes))
    bins = calibration.measure(confidence, predicted == test.labels)
    tested = f"the {len(test):,} test images of {about.name}"
    with events.EventWriter(RUN, inputs.key("evaluate", settings)) as writer:
        for index, name in enumerate(about.classes):
            counts = evaluation.pr_counts(test.labels == index, probabilities[:, index], settings.thresholds)
            writer.pr_curve(f"pr_curve/{name}", counts)
        for quantity in ("average_precision", "precision", "recall", "f1"):
            writer.scalars(quantity.replace("_", " "), numbers[quantity])
        writer.scalar("accuracy", numbers["accuracy"])
        writer.scalar("expected calibration error", bins.error)
        confusion = evaluation.confusion(predicted, test.labels, len(about.classes))
        picture = figures.confusion(confusion, about.classes, tested)
        writer.image("confusion matrix", picture)
        writer.image("reliability", figures.reliability(*astuple(bins), tested))
        wrong = evaluation.mistakes(confidence, predicted == test.labels)
        shown = test.pixels[wrong], test.labels[wrong], predicted[wrong], confidence[wrong]
        writer.image("most confident mistakes", figures.mistakes(*shown, about.classes, tested))
        writer.histograms("weights", histograms.weights(net))
        writer.histograms("activations", activations)
        chosen = dataset.positions(len(test), settings.points, settings.seed)
        features = inference.features(net, test.pixels[chosen], settings.batch_size)
        known = evaluation.decisions(predicted[chosen], test.labels[chosen], about.classes)
        projector.write(RUN, "features", features, known, test.pixels[chosen])
        writer.text("data_set", f"Evaluated on {tested}.")
    curves = evaluation.precision_recall_table(probabilities, test.labels)
    outputs.write_csv(PLOTS / "precision_recall.csv", ["recall", *about.classes], curves.tolist())
    decided = [(about.classes[a], about.classes[b]) for a, b in zip(test.labels, predicted, strict=True)]
    outputs.write_csv(PLOTS / "confusion.csv", ["actual", "predicted"], decided)
    outputs.write_bytes(PLOTS / "confusion.png", images.png(picture))
    outputs.write_json(METRICS, {"data_set": about.name, **numbers, "expected_calibration_error": bins.error})


if __name__ == "__main__":
    errors.run(main)
