#include "io/model/safetensors.h"
