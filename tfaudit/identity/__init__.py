"""Who is acting, and how do we know."""
