#include "pipeline/job.h"
