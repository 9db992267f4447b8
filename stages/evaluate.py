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
    test = dataset.load(RAW, "test")
    net, origin = checkpoint.load(MODEL)
    log_probabilities = inference.log_probabilities(net, test.pixels, settings.batch_size)
    probabilities, predicted = np.exp(log_probabilities), log_probabilities.argmax(axis=1)
    summary = evaluation.summarise(log_probabilities, test.labels, origin.classes)
    confusion = evaluation.confusion(predicted, test.labels, len(origin.classes))
    tested = f"the {len(test):,} test images of {origin.data_set}"
    with EventWriter(RUN, inputs.key("evaluate", settings)) as events:
        for index, name in enumerate(origin.classes):
            counts = evaluation.pr_counts(test.labels == index, probabilities[:, index], settings.thresholds)
            events.pr_curve(f"pr_curve/{name}", counts)
        for name, score in summary.average_precision.items():
            events.scalar(f"average precision/{name}", score)
        events.scalar("accuracy", summary.accuracy)
        events.image("confusion matrix", figures.confusion(confusion, origin.classes, tested))
        events.text("data_set", f"Evaluated on {tested}.")
    recalls = np.linspace(0, 1, 101)
    curves = evaluation.precision_at_recall(probabilities, test.labels, recalls)
    points = np.column_stack([recalls, curves]).tolist()
    outputs.write_csv(PLOTS / "precision_recall.csv", ["recall", *origin.classes], points)
    names = np.array(origin.classes)
    decisions = zip(names[test.labels], names[predicted], strict=True)
    outputs.write_csv(PLOTS / "confusion.csv", ["actual", "predicted"], decisions)
    outputs.write_json(METRICS, {"data_set": origin.data_set, **asdict(summary)})


if __name__ == "__main__":
    errors.run(main)
