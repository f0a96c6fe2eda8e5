#include "probe.h"
void probe_scenes(void)
{
}
