#include "pipeline/tasks.h"
