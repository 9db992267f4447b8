"""Stage `train`: the tutorial's net, trained, with its graph, its loss and its predictions."""

import itertools
from pathlib import Path

from fashionboard import errors, params

RAW = Path("data/raw")
MODEL = Path("models/net.safetensors")
RUN = Path("runs/train")
METRICS = Path("metrics/train.json")
LOSSES = Path("plots/training_loss.csv")


def main() -> None:
    settings = params.load(Path("params.yaml")).train
    # torch takes seconds to import: not before the parameters are known to be right
    from fashionboard import (
        checkpoint,
        compute,
        dataset,
        figures,
        graph,
        inputs,
        network,
        outputs,
        resume,
        training,
    )
    from fashionboard.events import EventWriter

    device = compute.configure(settings.device, settings.threads, settings.batch_size)
    about, images = dataset.describe(RAW), dataset.load(RAW, "train")
    key, classes = inputs.key("train", settings), about.classes
    net = network.initial(settings.seed, len(classes))
    traced = graph.trace(net, training.first_batch(images, settings))
    optimizer = training.sgd(net.to(device), settings)
    reports = resume.load(key, net, optimizer)
    after = reports[-1].step if reports else -1
    with EventWriter(RUN, key) as events:
        events.text("data_set", f"Trained on the {len(images):,} training images of `{about.name}`.")
        events.graph(traced)
        for report in itertools.chain(reports[:], training.train(net, optimizer, images, settings, after)):
            shown = images.pixels[report.positions], images.labels[report.positions]
            picture = figures.predictions(*shown, report.predicted, report.confidence, classes)
            events.scalar("training loss", report.loss, report.step)
            events.image("predictions vs. actuals", picture, report.step)
            events.flush()
            if report.step > after:
                reports.append(report)
                resume.save(key, net, optimizer, reports)
    outputs.write_csv(LOSSES, ["step", "loss"], [(report.step, report.loss) for report in reports])
    last = {"training_loss": reports[-1].loss, "last_step": reports[-1].step}
    outputs.write_json(METRICS, {"data_set": about.name, **last})
    checkpoint.save(MODEL, net, checkpoint.Origin(about.name, classes))
    resume.discard(key)


if __name__ == "__main__":
    errors.run(main)
