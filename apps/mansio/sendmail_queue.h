// What `sendmail` is asked about the queue: `-bp` (mailq) and `-q`, over the admin API.
#pragma once

#include "mansio/options.h"
#include "mansio/sendmail_options.h"

namespace mansio::cli {

/// The queue as mailq shows it. Throws Failure if the daemon does not answer.
int show_queue(const GlobalOptions& global);
/// Makes what waits due now.
int flush_queue(const GlobalOptions& global, const SendmailOptions& options);

}  // namespace mansio::cli
