#include "io/ledger/ledger.h"
