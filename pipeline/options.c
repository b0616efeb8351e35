#include "pipeline/options.h"
