--- The values of `precision`, and the dtype of activations that each one means.
--
-- "tf32" is "single" where a GPU may round the factors of products to 10 bits. Parameters are double
-- for "double" and float for all others.
-- @module densenet.models.precision

return {
  words = { "single", "tf32", "double", "half", "bfloat16" },
  dtypes = { single = "float", tf32 = "float", double = "double", half = "half", bfloat16 = "bfloat16" },
}
