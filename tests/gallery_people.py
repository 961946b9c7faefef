"""Made-up galleries for tests: people as directions, pictures scattered around them."""

import hashlib

import numpy as np

from facezoo.gallery import Binding, Entry, Picture

DIM = 8
BINDING = Binding("1a5a", "079d")


def unit(vectors):
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def entry(identity, number, embedding=None, origin="/people"):
    """A picture that depends on the name and the number alone."""
    key = f"{identity}/{number}.jpg"
    if embedding is None:
        digits = hashlib.sha256(key.encode(errors="replace")).digest()[:DIM]
        embedding = unit(np.frombuffer(digits, np.uint8) - 127.5)
    return Entry(Picture(identity, key, f"digest of {key}", origin), embedding)


def entries(num_people, num_pictures, scatter=0.5, dim=DIM, seed=0):
    """People whose pictures are nearer to each other the less they scatter."""
    random = np.random.default_rng(seed)
    people = unit(random.normal(size=(num_people, 1, dim)))
    noise = random.normal(size=(num_people, num_pictures, dim)) / np.sqrt(dim)
    embedding = unit(people + scatter * noise)
    return [
        entry(f"p{person:03}", number, embedding[person, number])
        for person in range(num_people)
        for number in range(num_pictures)
    ]
