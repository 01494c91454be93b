"""Networks as other people have them, small: what they take and return is theirs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


def seeded(make, *args, **options):
    """One of them with weights from a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(*args, **options)


class Plain(nn.Module):
    """z (N, 4) to images (N, 1, 4, 4), or images to scores (N, 1)."""

    def __init__(self, inputs=4, outputs=16, shape=(1, 4, 4)):
        super().__init__()
        self.inputs, self.outputs, self.shape = inputs, outputs, tuple(shape)
        self.fc, self.out = nn.Linear(inputs, 8), nn.Linear(8, outputs)

    def body(self, x):
        return self.out(torch.tanh(self.fc(x.flatten(1)))).reshape(x.shape[0], *self.shape)

    def forward(self, x):
        return self.body(x)


class Generator(Plain):
    pass


class Discriminator(Plain):
    def __init__(self, inputs=16, outputs=1, shape=(1,)):
        super().__init__(inputs, outputs, shape)


# -- what generators take -----------------------------------------------------------------------


class TakesList(Generator):
    """As of StyleGAN2 in PyTorch: a list of styles in, a pair out."""

    def forward(self, styles, noise=None):
        return self.body(styles[0]), None


class TakesTwo(Generator):
    def forward(self, z, noise):
        return self.body(z + noise)


class TakesImages(Generator):
    """A translator."""

    def __init__(self):
        super().__init__(16)


class ByKeyword(Generator):
    """The condition by keyword alone."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(3, 4)

    def forward(self, z, *, y):
        return self.body(z + self.embed(y))


class ByVector(Generator):
    """A one-hot vector."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 4)

    def forward(self, z, labels):
        return self.body(z + self.embed(labels))


class ByDict(Generator):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(3, 4)

    def forward(self, batch):
        return self.body(batch["z"] + self.embed(batch["label"]))


class BigGANLike(Generator):
    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(3, 4)

    def forward(self, z, y):
        return self.body(z + y)


class Concatenated(Generator):
    """z and a one-hot vector side by side."""

    def __init__(self):
        super().__init__(4 + 3)


class ConditionalD(Discriminator):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(3, 16)

    def forward(self, x, y):
        return self.body(x.flatten(1) * self.embed(y))


# -- what networks return -----------------------------------------------------------------------


class ReturnsDict(Generator):
    def forward(self, z):
        return {"latent": z, "sample": self.body(z)}


@dataclass
class Output:
    features: torch.Tensor
    logits: torch.Tensor


class ReturnsFields(Discriminator):
    def forward(self, x):
        return Output(x.flatten(1), self.body(x))


class WithFeatures(Discriminator):
    def forward(self, x):
        return self.body(x), x.flatten(1)


class Scales(Discriminator):
    """Multi-scale patches: a list of maps of unlike sizes."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(1, 1, 2)

    def forward(self, x):
        return [self.maps(x), self.maps(nn.functional.avg_pool2d(x, 2))]


class Pix2PixHD(Scales):
    """Of every scale features and, last, a map of scores."""

    def forward(self, x):
        first, second = super().forward(x)
        return [[x.expand(-1, 2, -1, -1), first], [x.expand(-1, 3, -1, -1), second]]


class HiFiLike(Scales):
    """Real and made at once; flattened maps, and features."""

    def forward(self, y, y_hat):
        real, made = (list(super(HiFiLike, self).forward(v)) for v in (y, y_hat))
        return [m.flatten(1) for m in real], [m.flatten(1) for m in made], [y], [y_hat]


class Classes(Discriminator):
    """Classes 0 to 2, and 3 for generated."""

    def __init__(self):
        super().__init__(16, 4, (4,))


class Domains(Discriminator):
    """A score for each of three labels."""

    def __init__(self):
        super().__init__(16, 3, (3,))


class EndsInSigmoid(Discriminator):
    def forward(self, x):
        return torch.sigmoid(self.body(x))


class SigmoidAndFeatures(EndsInSigmoid):
    def forward(self, x):
        return x.flatten(1), super().forward(x)


# -- rows that are not alone --------------------------------------------------------------------


class StdDev(Discriminator):
    """The standard deviation of each group of rows as a further feature."""

    def __init__(self, group=4):
        super().__init__(17)
        self.group = group

    def forward(self, x):
        rows = x.flatten(1)
        groups = rows.reshape(min(self.group, len(rows)), -1, rows.shape[1])
        spread = groups.std(0, correction=0).mean(1, keepdim=True).repeat(len(groups), 1)
        return self.body(torch.cat([rows, spread], 1))


class CTGANLike(Discriminator):
    def __init__(self, pac=4):
        super().__init__(16 * pac)
        self.pac = pac

    def forward(self, x):
        assert len(x) % self.pac == 0
        return self.body(x.reshape(-1, self.inputs))


class JoinedChannels(Discriminator):
    def __init__(self):
        super().__init__(32)


# -- noise --------------------------------------------------------------------------------------


class Injection(nn.Module):
    """As of StyleGAN: noise drawn in forward, by a mode."""

    def __init__(self, how="randn"):
        super().__init__()
        self.how, self.strength = how, nn.Parameter(torch.tensor(0.5))
        self.register_buffer("const", torch.ones(1, 8))

    def forward(self, h, mode="random"):
        if mode == "const":
            return h + self.strength * self.const
        if self.how == "randn":
            noise = torch.randn([len(h), 8])
        elif self.how == "like":
            noise = torch.randn_like(h)
        elif self.how == "normal_":
            noise = h.new_empty(len(h), 8).normal_()
        elif self.how == "rand":
            noise = torch.rand(len(h), 8, device=h.device)
        elif self.how == "shared":
            noise = torch.randn(1, 8)
        else:
            return nn.functional.dropout(h, 0.5, training=True)
        return h + self.strength * noise


class Noisy(Generator):
    """Two layers draw noise."""

    def __init__(self, how="randn"):
        super().__init__()
        self.how, self.first, self.middle = how, Injection(how), nn.Linear(8, 8)
        self.second = Injection(how)

    def forward(self, z, noise_mode="random"):
        h = self.first(torch.tanh(self.fc(z)), noise_mode)
        h = self.second(torch.tanh(self.middle(h)), noise_mode)
        return self.out(h).reshape(len(z), *self.shape)


class Mapped(nn.Module):
    """A mapping network, and a synthesis network behind it."""

    def __init__(self, average=False):
        super().__init__()
        self.average = average
        self.mapping = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
        self.synthesis = Generator()
        if average:
            self.mapping.register_buffer("w_avg", torch.full((4,), 0.3))

    def forward(self, z):
        return self.synthesis(self.mapping(z))
