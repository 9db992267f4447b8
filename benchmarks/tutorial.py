"""The tutorial's work as a beginner writes it: one script, no DVC. What `make bench` compares with.

A transcription of the PyTorch tutorial "Visualizing Models, Data, and Training with TensorBoard", with
torchvision's data set and transforms, DataLoader, SummaryWriter and pyplot, on torch's own settings.
Its figures are the tutorial's, 12 x 48 inches. Left out are the calls of `writer.close()` in between,
added are the times and the accuracy.

    python benchmarks/tutorial.py DATA LOGS

DATA is the `root` of torchvision.datasets.FashionMNIST; event files go into the folder LOGS. The last
line printed is JSON: steps and seconds of the training loop, and the seconds of each part.
"""

import json
import sys
import time

started = time.perf_counter()

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import torchvision
import torchvision.transforms as transforms
from torch.utils.tensorboard import SummaryWriter

classes = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle Boot",
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 4 * 4, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, 16 * 4 * 4)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        return x


def matplotlib_imshow(img, one_channel=False):
    if one_channel:
        img = img.mean(dim=0)
    img = img / 2 + 0.5  # unnormalize
    npimg = img.numpy()
    if one_channel:
        plt.imshow(npimg, cmap="Greys")
    else:
        plt.imshow(np.transpose(npimg, (1, 2, 0)))


def select_n_random(data, labels, n=100):
    perm = torch.randperm(len(data))
    return data[perm][:n], labels[perm][:n]


def images_to_probs(net, images):
    output = net(images)
    _, preds_tensor = torch.max(output, 1)
    preds = np.squeeze(preds_tensor.numpy())
    return preds, [F.softmax(el, dim=0)[i].item() for i, el in zip(preds, output)]


def plot_classes_preds(net, images, labels):
    preds, probs = images_to_probs(net, images)
    fig = plt.figure(figsize=(12, 48))
    for idx in np.arange(4):
        ax = fig.add_subplot(1, 4, idx + 1, xticks=[], yticks=[])
        matplotlib_imshow(images[idx], one_channel=True)
        ax.set_title(
            f"{classes[preds[idx]]}, {probs[idx] * 100.0:.1f}%\n(label: {classes[labels[idx]]})",
            color=("green" if preds[idx] == labels[idx].item() else "red"),
        )
    return fig


def main(root, logs):
    imported = time.perf_counter()
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    trainset = torchvision.datasets.FashionMNIST(root, download=True, train=True, transform=transform)
    testset = torchvision.datasets.FashionMNIST(root, download=True, train=False, transform=transform)
    trainloader = torch.utils.data.DataLoader(trainset, batch_size=4, shuffle=True, num_workers=0)
    testloader = torch.utils.data.DataLoader(testset, batch_size=4, shuffle=False, num_workers=0)

    net = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    writer = SummaryWriter(logs)
    read = time.perf_counter()

    dataiter = iter(trainloader)
    images, labels = next(dataiter)
    img_grid = torchvision.utils.make_grid(images)
    matplotlib_imshow(img_grid, one_channel=True)
    writer.add_image("four_fashion_mnist_images", img_grid)
    writer.add_graph(net, images)

    images, labels = select_n_random(trainset.data, trainset.targets)
    class_labels = [classes[lab] for lab in labels]
    features = images.view(-1, 28 * 28)
    writer.add_embedding(features, metadata=class_labels, label_img=images.unsqueeze(1))
    shown = time.perf_counter()

    running_loss = 0.0
    for epoch in range(1):
        for i, data in enumerate(trainloader, 0):
            inputs, labels = data
            optimizer.zero_grad()
            outputs = net(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()

            running_loss += loss.item()
            if i % 1000 == 999:
                writer.add_scalar("training loss", running_loss / 1000, epoch * len(trainloader) + i)
                writer.add_figure(
                    "predictions vs. actuals",
                    plot_classes_preds(net, inputs, labels),
                    global_step=epoch * len(trainloader) + i,
                )
                running_loss = 0.0
    print("Finished Training")
    trained = time.perf_counter()

    class_probs = []
    class_label = []
    with torch.no_grad():
        for data in testloader:
            images, labels = data
            output = net(images)
            class_probs_batch = [F.softmax(el, dim=0) for el in output]
            class_probs.append(class_probs_batch)
            class_label.append(labels)
    test_probs = torch.cat([torch.stack(batch) for batch in class_probs])
    test_label = torch.cat(class_label)
    for i in range(len(classes)):
        writer.add_pr_curve(classes[i], test_label == i, test_probs[:, i], global_step=0)
    writer.close()
    evaluated = time.perf_counter()
    print(f"accuracy {(test_probs.argmax(1) == test_label).float().mean():.4f}")
    return {
        "steps": len(trainloader),
        "imports": imported - started,
        "reading": read - imported,
        "showing": shown - read,
        "training": trained - shown,
        "evaluating": evaluated - trained,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
