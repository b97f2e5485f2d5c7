"""A layer of a key-value cache with room for what is to come, from which rows can be taken."""

from __future__ import annotations

import torch
from transformers.cache_utils import DynamicLayer


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A DynamicLayer whose tensors are made once.

    The library's is copied whole for each token; here a token is written behind the others.
    """

    def __init__(self, layer: DynamicLayer, rows: torch.Tensor, more: int) -> None:
        """Take over a layer that has read the prompts.

        Args:
            layer: The library's, filled.
            rows: Which of its rows are to be here, in their order; one may be here several times.
            more: Tokens that are still to come.
        """
        super().__init__()
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True
        self.length = layer.get_seq_length()
        self._keys = self._with_room(layer.keys, rows, more)
        self._values = self._with_room(layer.values, rows, more)
        self._show(len(rows))

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *given: object, **more: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the states of new tokens behind the others; returns all of them."""
        rows, new = len(key_states), key_states.shape[-2]
        place = slice(self.length, self.length + new)
        self._keys[:rows, :, place] = key_states
        self._values[:rows, :, place] = value_states
        self.length += new
        self._show(rows)
        return self.keys, self.values

    def move_rows(self, rows: int, holes: list[int], movers: list[int]) -> None:
        """Keep the first `rows` rows, after those of `movers` were put in the place of `holes`."""
        for whole in (self._keys, self._values) if holes else ():
            whole[holes, :, : self.length] = whole[movers, :, : self.length]
        self._show(rows)

    def _with_room(self, states: torch.Tensor, rows: torch.Tensor, more: int) -> torch.Tensor:
        _, heads, length, size = states.shape
        # Zeros, for a number that is no number would pass the mask.
        room = states.new_zeros(len(rows), heads, length + more, size)
        room[:, :, :length] = states.index_select(0, rows)
        return room

    def _show(self, rows: int) -> None:
        self.keys = self._keys[:rows, :, : self.length]
        self.values = self._values[:rows, :, : self.length]
