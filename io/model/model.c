#include "io/model/model.h"
