#include "pipeline/partition.h"
