"""Jobs that train the smallest network, for which no name of the zoo stands."""

import facezoo
from facezoo.training import recipe
from tests.small_model import EMBEDDING_DIM, OneByOne


def use_small_network(patch):
    """Lets every recipe make that network, without batch normalisation, whatever it names."""

    def create_model(*_, head, preprocessing, **_others):
        plain = {"pooling": "flatten", "batch_norm": False}
        return facezoo.create_model(OneByOne(), EMBEDDING_DIM, head, preprocessing, plain)

    patch.setattr(recipe, "create_model", create_model)
