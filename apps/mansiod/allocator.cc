// How jemalloc works for the daemon: it looks for this name when the program starts.

/// Memory that a burst took goes back to the system within seconds, by a thread of its own; few
/// arenas, since the threads of the daemon hand memory to each other.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,narenas:4,dirty_decay_ms:2000,muzzy_decay_ms:0";
}
