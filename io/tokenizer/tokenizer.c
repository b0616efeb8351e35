#include "io/tokenizer/tokenizer.h"
