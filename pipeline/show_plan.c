#include "pipeline/show_plan.h"
