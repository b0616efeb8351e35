#include "io/base/jsonl.h"
