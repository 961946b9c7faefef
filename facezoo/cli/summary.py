"""Prints the zoo's backbones: input, size, cost and source of each."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from absl import flags

from facezoo import registry
from facezoo.models import blueprint, count_macs, count_parameters, create_model

USAGE = "summary [NAME ..] [--json]"
HELP = """Prints for every backbone, or for those named: the input's height and width in pixels, the
trainable parameters, the MACs (multiply-adds of convolutions and dense layers for one image), and
the length and pooling of the embedding that it was published with. The line above each family is
its source. `facezoo.create_model(NAME)` makes what the table counts."""
_REMARKS = {
    "nn4_small1": "defined by OpenFace",
    "nn4_small2": "defined by OpenFace",
    "nns1": "reconstruction: the paper gives no layers",
    "nns2": "reconstruction: the paper gives no layers",
}


@dataclass(frozen=True)
class Row:
    """What the table says of one variant.

    Args:
        variant: Its name.
        image_shape: (height, width, channels), pixels.
        parameters: Trainable ones.
        macs: Multiply-adds for one image.
        embedding_dim: Length of the embedding.
        pooling: Of the feature map, see `EmbeddingOutput`.
        source: Of the family.
        remark: What holds for this variant alone; empty if nothing does.
    """

    variant: str
    image_shape: tuple[int, ...]
    parameters: int
    macs: int
    embedding_dim: int
    pooling: str
    source: str
    remark: str


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds nothing: the verb has no flags of its own."""
    del flag_values


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Prints the table.

    Raises:
        ValueError: A name is unknown.
    """
    for name in arguments:
        registry.get("backbone", name)
    families = _families(set(arguments) or set(registry.names("backbone")))
    if options["json"].value:
        rows = [asdict(_row(*one)) for family in families for one in family]
        print(json.dumps(rows, indent=2))
        return 0
    for line in _table(families):
        # Counting takes seconds: every row is shown as soon as it is known.
        print(line, flush=True)
    return 0


def _families(chosen: set[str]) -> list[list[tuple[str, type]]]:
    """The chosen variants with their class, by class, in the order that the class has them."""
    classes = registry.parts("backbone").values()
    families = [[(name, cls) for name in cls.VARIANTS if name in chosen] for cls in classes]
    return [family for family in families if family]


def _row(variant: str, cls: type) -> Row:
    model = blueprint(create_model, variant)
    return Row(
        variant=variant,
        image_shape=model.backbone.image_shape,
        parameters=count_parameters(model),
        macs=count_macs(model),
        embedding_dim=model.embedding.embedding_dim,
        pooling=model.embedding.pooling,
        source=cls.SOURCE,
        remark=_REMARKS.get(variant, ""),
    )


def _table(families: Sequence[Sequence[tuple[str, type]]]) -> Iterator[str]:
    names = [name for family in families for name, _ in family]
    longest = max(len(name) for name in ("variant", *names))
    yield _line(longest, "variant", "input", "parameters", "MACs (10^6)", "embedding", "")
    for family in families:
        _, cls = family[0]
        yield ""
        yield cls.SOURCE
        for one in family:
            yield _line(longest, *_cells(_row(*one)))


def _cells(row: Row) -> tuple[str, ...]:
    height, width, _ = row.image_shape
    return (
        row.variant,
        f"{height} x {width}",
        f"{row.parameters:,}",
        f"{row.macs / 1e6:,.1f}",
        f"{row.embedding_dim} {row.pooling}",
        row.remark,
    )


def _line(longest: int, *cells: str) -> str:
    layout = (f"<{longest}", ">9", ">11", ">11", "<14", "<")
    return "".join(f"  {cell:{one}}" for cell, one in zip(cells, layout, strict=True)).rstrip()
