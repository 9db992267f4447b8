"""Stage `train`: the tutorial's net, trained, with its graph, its loss and its predictions."""

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
    import torch

    from fashionboard import checkpoint, compute, dataset, figures, graph, inputs, network, outputs, training
    from fashionboard.events import EventWriter

    device = compute.configure(settings.device, settings.threads)
    about, images = dataset.describe(RAW), dataset.load(RAW, "train")
    net = network.initial(settings.seed, len(about.classes))
    losses = []
    with EventWriter(RUN, inputs.key("train", settings)) as events:
        first = training.order(len(images), settings.seed, epoch=0)[: settings.batch_size]
        events.text("data_set", f"Trained on the {len(images):,} training images of `{about.name}`.")
        events.graph(graph.trace(net, network.normalise(torch.tensor(images.pixels[first]))))
        for report in training.train(net, images, settings, device):
            at = report.positions
            events.scalar("training loss", report.loss, report.step)
            events.image(
                "predictions vs. actuals",
                figures.predictions(
                    images.pixels[at], images.labels[at], report.predicted, report.confidence, about.classes
                ),
                report.step,
            )
            events.flush()
            losses.append((report.step, report.loss))
    outputs.write_csv(LOSSES, ["step", "loss"], losses)
    step, loss = losses[-1]
    outputs.write_json(METRICS, {"data_set": about.name, "training_loss": loss, "last_step": step})
    checkpoint.save(MODEL, net, checkpoint.Origin(about.name, about.classes))


if __name__ == "__main__":
    errors.run(main)
