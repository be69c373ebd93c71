"""CLIP's text tower with word strengths in PyTorch: read from the same GGUF file, written from the
formula (docs/stori.md) and from CLIP's definition, for variants that the program does not have and
to hold the program against. Needs torch, transformers and gguf."""

import dataclasses

import gguf
import numpy as np
import torch
from transformers import CLIPTokenizer


@dataclasses.dataclass
class Variant:
    """How weights [tokens] act. `place`: "keys", columns of the attention mask, as SToRI does;
    "embeddings", factors of the input embeddings; "outputs", factors of what the encoder made."""
    place: str = "keys"
    first_block: int = 0
    last_row_only: bool = False


class TextTower:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()
                  if name.startswith(("clip.", "tokenizer."))}
        self.tensors = {
            tensor.name: torch.from_numpy(np.array(
                gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))
            for tensor in reader.tensors}
        self.heads = fields["clip.text.attention.head_count"]
        self.blocks = fields["clip.text.block_count"]
        self.epsilon = fields["clip.text.attention.layer_norm_epsilon"]
        self.quick = not fields.get("clip.use_gelu", False)
        tokens = fields["tokenizer.ggml.tokens"]
        merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
        self.tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)},
                                       merges=merges)

    def ids(self, text):
        return self.tokenizer(text)["input_ids"]

    def words(self, text):
        """For each token between start and end which word it belongs to, and the words."""
        tokens = self.tokenizer.convert_ids_to_tokens(self.ids(text))[1:-1]
        owners, words = [], [""]
        for token in tokens:
            owners.append(len(words) - 1)
            words[-1] += token.removesuffix("</w>")
            if token.endswith("</w>"):
                words.append("")
        return owners, words[:-1]

    def norm(self, x, name):
        return torch.nn.functional.layer_norm(
            x, x.shape[-1:], self.tensors[name + ".weight"], self.tensors[name + ".bias"],
            self.epsilon)

    def linear(self, x, name):
        return torch.nn.functional.linear(x, self.tensors[name + ".weight"],
                                          self.tensors[name + ".bias"])

    def encode(self, ids, weights=None, variant=Variant(), log_weights=None):
        """The vector of one text; `weights` or their logarithms [tokens], start and end included."""
        if log_weights is None:
            log_weights = torch.zeros(len(ids)) if weights is None else torch.log(
                torch.as_tensor(weights, dtype=torch.float32))
        t, n = self.tensors, len(ids)
        x = t["t.token_embd.weight"][torch.as_tensor(ids)]
        if variant.place == "embeddings":
            x = x * torch.exp(log_weights)[:, None]
        x = x + t["t.position_embd.weight"][:n]
        causal = torch.full((n, n), float("-inf")).triu(1)
        dim = x.shape[-1] // self.heads
        for block in range(self.blocks):
            prefix = f"t.blk.{block}."
            mask = causal
            if variant.place == "keys" and block >= variant.first_block:
                rows = torch.zeros(n, 1)
                rows[-1 if variant.last_row_only else slice(None)] = 1
                # A hidden token must not make 0 * -infinity in the rows that it does not act on.
                bias = torch.where(rows > 0, log_weights[None, :].expand(n, n), torch.zeros(n, n))
                mask = causal + bias
            y = self.norm(x, prefix + "ln1")
            q, k, v = (self.linear(y, prefix + part).view(n, self.heads, dim).transpose(0, 1)
                       for part in ("attn_q", "attn_k", "attn_v"))
            scores = q @ k.transpose(1, 2) / dim**0.5 + mask
            y = (scores.softmax(-1) @ v).transpose(0, 1).reshape(n, -1)
            x = x + self.linear(y, prefix + "attn_out")
            y = self.linear(self.norm(x, prefix + "ln2"), prefix + "ffn_up")
            y = y * torch.sigmoid(1.702 * y) if self.quick else torch.nn.functional.gelu(y)
            x = x + self.linear(y, prefix + "ffn_down")
        if variant.place == "outputs":
            # Start and end have no factor.
            x = torch.cat([x[:1], x[1:-1] * torch.exp(log_weights)[1:-1, None], x[-1:]])
        y = self.norm(x[-1], "t.post_ln") @ t["text_projection.weight"].T
        return y / y.norm()
