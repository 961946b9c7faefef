"""The heads of a recipe: one for the people of a data set, or one for each of several sets."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from facezoo import registry
from facezoo.contracts import MarginHead, MiningLoss
from facezoo.data.concat_batches import ConcatBatches
from facezoo.heads import ConcatHead
from facezoo.losses import WithinSets
from facezoo.models import create_head

if TYPE_CHECKING:
    from facezoo.training.recipe import Recipe
    from facezoo.training.training_sets import Batches


def make_margin_head(
    recipe: "Recipe", batches: "Batches", duplicates: Sequence[Sequence[int]] = ()
) -> MarginHead:
    """Returns the head of the stage `margin`.

    Args:
        recipe: Which head.
        batches: Whose people.
        duplicates: Pairs of labels of several sets, never told apart; see `ConcatHead`.
    """
    if not isinstance(batches, ConcatBatches):
        return _one_head(recipe, batches.num_classes)
    heads = [_one_head(recipe, num_classes) for num_classes in batches.classes_per_set]
    return ConcatHead(heads, batches.names, recipe.cross_set_negatives, duplicates)


def make_softmax_head(head: MarginHead) -> MarginHead:
    """Returns plain logits for the same people."""
    if isinstance(head, ConcatHead):
        heads = [make_softmax_head(one) for one in head.heads]
        return ConcatHead(heads, head.names, head.sets.cross_set_negatives, head.sets.duplicates)
    return create_head("softmax", num_classes=head.num_classes)


def within_sets(loss: MiningLoss, head: MarginHead | None) -> MiningLoss:
    """Returns a loss that tells apart whom the head tells apart."""
    if not isinstance(head, ConcatHead):
        return loss
    return WithinSets(loss, **head.sets.get_config(), name=loss.name)


def _one_head(recipe: "Recipe", num_classes: int) -> MarginHead:
    stage = recipe.margin
    arguments = {"num_classes": num_classes, "scale": stage.scale, "margin": stage.margin}
    # A head such as normface has no margin to set. Of a class itself, Python 3.11.2 gives the
    # signature of Keras' `__new__`.
    known = inspect.signature(registry.get("head", stage.head)[0].__init__).parameters
    return create_head(
        stage.head, **{name: value for name, value in arguments.items() if name in known}
    )
