// Gives back the memory of what only the start needed.
#pragma once

namespace consort {

/// Most of the executable's pages that a process has mapped by the time it is ready are of reading
/// options and files, and neighbours that the kernel maps along with what is touched. They are
/// unmapped; what is used again comes back from the page cache for the price of a minor fault.
/// About 1 MB of resident memory. Does nothing where the kernel refuses.
void release_startup_pages();

}  // namespace consort
