// A file descriptor that is closed when its owner goes.
#pragma once

#include "proto/fd.h"

namespace leat::stage {

using proto::Fd;

}  // namespace leat::stage
