// The SMTP and LMTP listeners, and the seam between a listener and what takes its mail.
#pragma once

#include "edge/admission.h"  // IWYU pragma: export
#include "edge/smtp_edge.h"  // IWYU pragma: export
