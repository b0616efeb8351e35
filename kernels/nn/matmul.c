#include "kernels/nn/matmul.h"
