--- Words for the numbers that a network computes with, and the dtype of its activations by each.
--
-- "tf32" is "single" where a GPU may round the factors of products to 10 bits. Parameters are double
-- for "double" and float for all others.
-- @module densenet.models.precision

return { single = "float", tf32 = "float", double = "double", half = "half", bfloat16 = "bfloat16" }
