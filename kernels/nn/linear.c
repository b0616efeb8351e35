#include "kernels/nn/linear.h"
