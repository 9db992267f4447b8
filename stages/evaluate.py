"""Stage `evaluate`: the trained net on the test images: curves, a confusion matrix, numbers."""

from dataclasses import asdict
from pathlib import Path

from fashionboard import errors, params

RAW = Path("data/raw")
MODEL = Path("models/net.safetensors")
RUN = Path("runs/evaluate")
METRICS = Path("metrics/evaluate.json")
PLOTS = Path("plots/evaluate")


def main() -> None:
    settings = params.load(Path("params.yaml")).evaluate
    # torch and scikit-learn take seconds to import: not before the parameters are known to be right
    import numpy as np

    from fashionboard import checkpoint, compute, dataset, evaluation, figures, inference, inputs, outputs
    from fashionboard.events import EventWriter

    compute.configure("cpu", settings.threads)
    about, test = dataset.describe(RAW), dataset.load(RAW, "test")
    net = checkpoint.load(MODEL, checkpoint.Origin(about.name, about.classes))
    logs = inference.log_probabilities(net, test.pixels, settings.batch_size)
    probabilities, predicted = np.exp(logs), logs.argmax(axis=1)
    summary = evaluation.summarise(logs, test.labels, about.classes)
    confusion = evaluation.confusion(predicted, test.labels, len(about.classes))
    tested = f"the {len(test):,} test images of {about.name}"
    with EventWriter(RUN, inputs.key("evaluate", settings)) as events:
        for index, name in enumerate(about.classes):
            counts = evaluation.pr_counts(test.labels == index, probabilities[:, index], settings.thresholds)
            events.pr_curve(f"pr_curve/{name}", counts)
        for name, score in summary.average_precision.items():
            events.scalar(f"average precision/{name}", score)
        events.scalar("accuracy", summary.accuracy)
        events.image("confusion matrix", figures.confusion(confusion, about.classes, tested))
        events.text("data_set", f"Evaluated on {tested}.")
    curves = evaluation.curve_points(probabilities, test.labels, about.classes)
    outputs.write_csv(PLOTS / "precision_recall.csv", ["class", "recall", "precision"], curves)
    decisions = [(about.classes[a], about.classes[b]) for a, b in zip(test.labels, predicted, strict=True)]
    outputs.write_csv(PLOTS / "confusion.csv", ["actual", "predicted"], decisions)
    outputs.write_json(METRICS, {"data_set": about.name, **asdict(summary)})


if __name__ == "__main__":
    errors.run(main)
