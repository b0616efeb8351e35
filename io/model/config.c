#include "io/model/config.h"
