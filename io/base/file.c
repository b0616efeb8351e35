#include "io/base/file.h"
