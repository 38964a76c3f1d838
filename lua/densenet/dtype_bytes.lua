-- Bytes of an element, by dtype.
return { float = 4, double = 8, half = 2, bfloat16 = 2, long = 8, byte = 1 }
