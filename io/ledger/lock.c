#include "io/ledger/lock.h"
