#include "kernels/linalg/factors.h"
