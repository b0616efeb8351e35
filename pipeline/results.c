#include "pipeline/results.h"
