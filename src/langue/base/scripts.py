"""Scripts of writing, as classes of characters for regular expressions."""

# Chinese characters: the ideographs of Unicode with the marks of repetition and of zero.
HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
