"""The networks: one file each, and this table. ``build`` is how every other part obtains one.

Adding a network is one new file with a function ``build(channels, width, **options) -> nn.Module`` and one line below.
The table holds paths, not functions, so that reading ``params.yaml`` does not import torch.
"""

ARCHITECTURES = {
    "mlp": "shearbench.models.mlp",
    "cnn2": "shearbench.models.cnn2",
    "cnn3": "shearbench.models.cnn3",
    "resnet18": "shearbench.models.resnet18",
}
