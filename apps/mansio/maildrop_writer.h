// Leaves a message in the maildrop (docs/FORMATS.md), durable when it returns.
#pragma once

#include <string>

#include "base/id.h"
#include "message/envelope.h"

namespace mansio::cli {

/// Writes the file under a temporary name, syncs it, renames it to `id` and syncs the folder.
/// Throws std::system_error; then nothing of it will ever be sent. Follows no symbolic link.
void write_drop(const std::string& folder, const QueueId& id, const Envelope& envelope,
                const std::string& content);

}  // namespace mansio::cli
