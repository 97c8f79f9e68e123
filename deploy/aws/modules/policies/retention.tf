# How long objects are locked. The days are those of tfaudit's own profiles, leap days included.
locals {
  profile_days = { soc2 = 731, pci = 731, hipaa = 2192, sox = 2557, sec17a4 = 2192 }
  days         = coalesce(var.retention.days, try(local.profile_days[var.retention.profile], null), 1)

  retention = {
    profile = var.retention.profile
    mode    = var.retention.mode
    days    = local.days
    # The days that are left when a request arrives are one less than were asked for.
    least_days = local.days - 1
    # A month more than a new object gets, so that extending has some room.
    most_days = coalesce(var.retention.most_days, local.days + 31)
  }
}
