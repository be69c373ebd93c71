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

    def encode(self, texts, log_weights=None, variant=Variant()):
        """Vectors [texts][length] of token ids with start and end; logarithms of their weights are
        [texts][tokens of the longest], whatever stands behind the end."""
        t, count, n = self.tensors, len(texts), max(map(len, texts))
        ids = torch.tensor([text + [text[-1]] * (n - len(text)) for text in texts])
        ends = torch.tensor([len(text) - 1 for text in texts])
        if log_weights is None:
            log_weights = torch.zeros(count, n)
        x = t["t.token_embd.weight"][ids]
        if variant.place == "embeddings":
            x = x * torch.exp(log_weights)[..., None]
        x = x + t["t.position_embd.weight"][:n]
        mask = torch.full((n, n), float("-inf")).triu(1).expand(count, 1, n, n)
        if variant.place == "keys":
            rows = torch.ones(count, n, 1)
            if variant.last_row_only:
                rows = torch.nn.functional.one_hot(ends, n)[..., None].float()
            # Not a product, since 0 * -infinity is no number.
            weighted = mask + torch.where(rows > 0, log_weights[:, None, :],
                                          torch.zeros(()))[:, None]
        dim = x.shape[-1] // self.heads
        for block in range(self.blocks):
            prefix = f"t.blk.{block}."
            acts = variant.place == "keys" and block >= variant.first_block
            y = self.norm(x, prefix + "ln1")
            q, k, v = (self.linear(y, prefix + part).view(count, n, self.heads, dim).transpose(1, 2)
                       for part in ("attn_q", "attn_k", "attn_v"))
            scores = q @ k.transpose(2, 3) / dim**0.5 + (weighted if acts else mask)
            y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(count, n, -1)
            x = x + self.linear(y, prefix + "attn_out")
            y = self.linear(self.norm(x, prefix + "ln2"), prefix + "ffn_up")
            y = y * torch.sigmoid(1.702 * y) if self.quick else torch.nn.functional.gelu(y)
            x = x + self.linear(y, prefix + "ffn_down")
        if variant.place == "outputs":
            # Start and end have no factor, so nothing of what stands for the text has one.
            factors = torch.exp(log_weights).clone()
            factors[:, 0] = 1
            factors[torch.arange(count), ends] = 1
            x = x * factors[..., None]
        y = self.norm(x[torch.arange(count), ends], "t.post_ln") @ t["text_projection.weight"].T
        return torch.nn.functional.normalize(y, dim=-1)
