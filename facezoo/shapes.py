"""The ground: names, shapes and dtypes of every tensor that crosses a wall between rooms."""

from typing import Final

# name       dtype    shape            meaning
# image      float32  [B, H, W, 3]     standardised RGB, channels last
# label      int32    [B]              identity's number
# features   float32  [B, D]           before normalisation
# embedding  float32  [B, D]           unit length, always
# norm       float32  [B]              length of `features`
# logits     float32  [B, C]           what enters softmax
# centers    float32  [D, C]           class weights of a head
EMBEDDING: Final = "embedding"
NORM: Final = "norm"
# Between two embeddings, in every threshold table: 0 equal, 4 opposite.
DISTANCE: Final = "squared_l2"
NUM_CHANNELS: Final = 3
FLOAT: Final = "float32"
LABEL: Final = "int32"
