"""Texts that vectors are compared on: plain, with marks, in other scripts, cut at 77 tokens."""

TEXTS = ["a photo of a cat", "A red t-shirt for WOMEN, size 42!", "caf\u00e9 \u00fcber \u4e00\u53cc\u978b",
         "shoe", "a very long query " * 20]
