// A pool for tests whose payloads travel inside their messages.
#pragma once

#include "proto/payload_pool.h"

inline const leat::proto::PayloadPool kHeap;
