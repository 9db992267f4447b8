"""Stage `train`: a net, trained, with its graph, its losses and its predictions."""

import itertools
from pathlib import Path

from fashionboard.base import arithmetic, clock, errors, outputs, params
from fashionboard.data import dataset
from fashionboard.events import inputs
from fashionboard.network import loading
from fashionboard.repository import times

RAW = Path("data/raw")
MODEL = Path("models/net.safetensors")
RUN = Path("runs/train")
METRICS = Path("metrics/train.json")
LOSSES = Path("plots/training_loss.csv")


def main() -> None:
    settings = params.load(Path("params.yaml")).train
    arithmetic.choose(settings.arithmetic)
    # torch takes seconds to import: not before the parameters are known to be right
    with clock.part("imports"), loading.uncollected():
        from fashionboard.events.writer import EventWriter, literal
        from fashionboard.figures import examples
        from fashionboard.network import checkpoint, compute, nets
        from fashionboard.training import graph, progress, resume, start, validation
        from fashionboard.training.loop import Trainer, first_batch

    device = compute.configure(settings.device, settings.threads, settings.batch_size)
    about = dataset.describe(RAW)
    images, held_out = validation.hold_out(dataset.load(RAW, "train"), settings.validation, settings.seed)
    classes, origin = about.classes, checkpoint.Origin(about.name, about.classes, about.kind)
    net = nets.initial(settings.seed, len(classes), settings.model, about.kind)
    started = start.begin(net, Path(settings.start), origin)
    key = inputs.key("train", settings)
    traced = graph.trace(net, first_batch(images, settings))
    trainer = Trainer(net.to(device), settings)
    expected = resume.Expected(trainer.steps(len(images)), len(images), len(classes))
    reports = resume.load(key, trainer.state, expected)
    after = reports[-1].step if reports else -1
    with EventWriter(RUN, key) as events:
        others = f"; {len(held_out):,} others were held out" if held_out else ""
        others += f"; it began with a model of {literal(started.data_set)}" if started else ""
        events.text("data_set", f"Trained on the {len(images):,} training images of `{about.name}`{others}.")
        events.graph(traced)
        trained = clock.trained(trainer.train(images, held_out, after), after)
        for report in itertools.chain(reports[:], trained):
            shown = dataset.take(images, report.positions)
            decided = report.predicted, report.confidence
            negative = about.kind.negative
            picture = examples.predictions(shown.pixels, shown.labels, *decided, classes, negative)
            events.scalar("training loss", report.loss, report.step)
            if report.validation:
                events.scalar("validation loss", report.validation.loss, report.step)
                events.scalar("validation accuracy", report.validation.accuracy, report.step)
            events.image("predictions vs. actuals", picture, report.step)
            events.flush()
            if report.step > after:
                reports.append(report)
                resume.save(key, trainer.state, reports)
    outputs.write_csv(LOSSES, *progress.table(reports))
    outputs.write_json(METRICS, {"data_set": about.name, **progress.summary(reports, settings.keep)})
    checkpoint.save(MODEL, trainer.kept(), origin)
    times.keep("train", key)
    resume.discard(key)


if __name__ == "__main__":
    errors.run(main)
