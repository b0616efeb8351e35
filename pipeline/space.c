#include "pipeline/space.h"
