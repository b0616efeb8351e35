#include "kernels/nn/llama.h"
